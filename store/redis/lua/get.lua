-- KEYS: the record. ARGV: prefix, name. Returns the name and the fields.
local refusal = stale()
if refusal then
  return refusal
end
local name = ARGV[2]
local f = redis.call('HMGET', KEYS[1], 'owner', 'id', 'subject', 'created', 'seen', 'deadline', 'version', 'body')
if not f[1] or not redis.call('ZSCORE', key('subject', f[1]), name) then
  return 'missing'
end
f[1] = name
return f
