-- KEYS: the record. ARGV: prefix, name, ms left, version, seen, deadline, body.
admit()
local name, rec = ARGV[2], find(ARGV[2])
if not rec then
  return 'missing'
end
if rec.version ~= ARGV[4] then
  return 'changed'
end
redis.call('HSET', KEYS[1], 'seen', ARGV[5], 'deadline', ARGV[6], 'body', ARGV[7])
redis.call('HINCRBY', KEYS[1], 'version', 1)
keep(name, rec.owner, rec.id, tonumber(ARGV[3]))
return 'done'
