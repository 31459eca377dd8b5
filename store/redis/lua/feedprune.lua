-- KEYS: the feed, when its entries expire. ARGV: prefix, before, limit. Returns how many were removed.
permit()
local removed = 0
for _, place in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])) do
  removed = removed + redis.call('ZREMRANGEBYSCORE', KEYS[1], place, place)
  redis.call('ZREM', KEYS[2], place)
end
return removed
