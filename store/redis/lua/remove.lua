-- KEYS: the record. ARGV: prefix, name.
permit()
local f = redis.call('HMGET', KEYS[1], 'owner', 'id')
if f[1] then
  drop(ARGV[2], f[1], f[2])
end
return 'done'
