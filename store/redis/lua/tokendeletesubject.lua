-- KEYS: the index. ARGV: prefix, owner, the purposes, or none for any. Returns the families that were ended.
permit()
local wanted, families = {}, {}
for i = 3, #ARGV do
  wanted[ARGV[i]] = true
end
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local f = redis.call('HMGET', key('token', name), 'owner', 'purpose', 'line', 'family')
  if f[1] ~= ARGV[2] then
    redis.call('ZREM', KEYS[1], name)
  elseif #ARGV == 2 or wanted[f[2]] then
    if f[3] ~= '' and finish(f[3]) then
      families[#families + 1] = f[4]
    end
    discard(name)
  end
end
return families
