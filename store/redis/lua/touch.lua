-- KEYS: the record. ARGV: prefix, name, ms left, seen, deadline.
admit()
local name, rec = ARGV[2], find(ARGV[2])
if not rec then
  return 'missing'
end
if tonumber(ARGV[4]) > tonumber(rec.seen) then
  redis.call('HSET', KEYS[1], 'seen', ARGV[4], 'deadline', ARGV[5])
  keep(name, rec.owner, rec.id, tonumber(ARGV[3]))
end
return 'done'
