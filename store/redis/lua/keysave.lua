-- KEYS: the rings. ARGV: prefix, name of the ring, its version, what to save, which begins with the next version.
admit()
local saved = redis.call('HMGET', KEYS[1], ARGV[2])[1]
local version = '0'
if saved then
  version = string.match(saved, '^%d+') or ''
end
if version ~= ARGV[3] then
  return 'changed'
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
return 'done'
