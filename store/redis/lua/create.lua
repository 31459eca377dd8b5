-- KEYS: the record, its id, its index. ARGV: prefix, name, owner, ms left, name of the record to replace or '', the fields.
local name, owner, px, old, id = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
admit()
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  return 'exists'
end
local replaced = nil
if old ~= '' then
  replaced = find(old)
  if not replaced then
    return 'missing'
  end
end
redis.call('HSET', KEYS[1], 'owner', owner, 'id', id, 'subject', ARGV[7], 'created', ARGV[8], 'seen', ARGV[9],
  'deadline', ARGV[10], 'version', ARGV[11], 'body', ARGV[12])
redis.call('SET', KEYS[2], name)
keep(name, owner, id, px)
if replaced then
  drop(old, replaced.owner, replaced.id)
end
return 'done'
