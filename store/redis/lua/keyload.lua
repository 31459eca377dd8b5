-- KEYS: the rings. ARGV: prefix, name of the ring. Returns what was saved, in a list that is empty if nothing was.
local refusal = stale()
if refusal then
  return refusal
end
local saved = redis.call('HMGET', KEYS[1], ARGV[2])[1]
if saved then
  return { saved }
end
return {}
