-- KEYS: the record, the next one, the next one's index. ARGV: prefix, name, used, sealed, name of the next one, its owner, its ms left, its fields.
-- Returns the record.
admit()
local rec = lookup(ARGV[2])
if not rec then
  return { 'missing' }
end
if rec.used ~= '' or rec.next ~= '' then
  return answer('spent', rec)
end
if redis.call('EXISTS', KEYS[2]) > 0 then
  return { 'exists' }
end
rec.used, rec.sealed, rec.next = ARGV[3], ARGV[4], ARGV[5]
if tonumber(ARGV[7]) > 0 then
  add(rec.next, ARGV[6], rec.line, rec.family, tonumber(ARGV[7]), 8)
end
redis.call('HSET', KEYS[1], 'used', rec.used, 'sealed', rec.sealed, 'next', rec.next)
return answer('done', rec)
