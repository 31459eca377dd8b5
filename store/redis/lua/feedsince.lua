-- KEYS: the feed. ARGV: prefix, after, limit. Returns the highest place that was ever given, and the entries.
local refusal = stale()
if refusal then
  return refusal
end
local last = redis.call('ZSCORE', KEYS[1], 'last') or '0'
return { last, redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3]) }
