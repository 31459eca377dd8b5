-- KEYS: the rings. ARGV: prefix. Returns their names, in no order.
local refusal = stale()
if refusal then
  return refusal
end
return redis.call('HKEYS', KEYS[1])
