-- KEYS: the record. ARGV: prefix, name. Returns the record.
admit()
local rec = lookup(ARGV[2])
if not rec then
  return { 'missing' }
end
local left = tonumber(rec.left)
if left == 0 then
  return { 'spent' }
end
if left > 0 then
  rec.left = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'left', -1))
end
return answer('done', rec)
