-- KEYS: the index. ARGV: prefix, owner. Returns the name and the fields of each record, in no order.
local refusal = stale()
if refusal then
  return refusal
end
local records = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local f = redis.call('HMGET', key('session', name), 'owner', 'id', 'subject', 'created', 'seen', 'deadline', 'version', 'body')
  if f[1] == ARGV[2] then
    f[1] = name
    records[#records + 1] = f
  else
    redis.pcall('ZREM', KEYS[1], name)
  end
end
return records
