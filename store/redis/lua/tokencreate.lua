-- KEYS: the record, its index, its family's. ARGV: prefix, name, owner, line or '', ms left, the fields.
admit()
local name, owner, line, px = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if redis.call('EXISTS', KEYS[1]) > 0 or line ~= '' and redis.call('EXISTS', KEYS[3]) > 0 then
  return 'exists'
end
if px > 0 then
  add(name, owner, line, ARGV[9], px, 6)
end
return 'done'
