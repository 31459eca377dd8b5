-- KEYS: the index. ARGV: prefix, owner, name of the record to spare or ''. Returns how many were removed.
permit()
local removed = 0
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if name ~= ARGV[3] then
    local f = redis.call('HMGET', key('session', name), 'owner', 'id')
    if f[1] == ARGV[2] then
      drop(name, f[1], f[2])
      removed = removed + 1
    else
      redis.call('ZREM', KEYS[1], name)
    end
  end
end
return removed
