-- KEYS: the feed, when its entries expire. ARGV: prefix, now, and for each entry: when it expires, and all else. Returns the last place. All times are in ms
-- since 1970. The member 'last' of the feed has the highest place that was ever given, below zero, so that it is in no range and goes with the entries.
admit()
local last = -tonumber(redis.call('ZSCORE', KEYS[1], 'last') or 0)
if #ARGV == 2 then
  return last
end
local time, day = redis.call('TIME'), 86400000
local now = math.min(tonumber(ARGV[2]), tonumber(time[1]) * 1000)
for _, place in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', now - day), 'LIMIT', 0, 100)) do
  redis.call('ZREMRANGEBYSCORE', KEYS[1], place, place)
  redis.call('ZREM', KEYS[2], place)
end
for i = 3, #ARGV, 2 do
  last = last + 1
  local place = string.format('%.0f', last)
  redis.call('ZADD', KEYS[1], place, place .. ' ' .. ARGV[i + 1])
  redis.call('ZADD', KEYS[2], ARGV[i], place)
end
redis.call('ZADD', KEYS[1], string.format('-%.0f', last), 'last')
return last
