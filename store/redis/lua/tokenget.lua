-- KEYS: the record. ARGV: prefix, name. Returns the record.
local refusal = stale()
if refusal then
  return refusal
end
local rec = lookup(ARGV[2])
if not rec then
  return { 'missing' }
end
return answer('done', rec)
