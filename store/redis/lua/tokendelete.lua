-- KEYS: the record, or the family's index. ARGV: prefix, name of the record or '', line.
permit()
if ARGV[2] ~= '' then
  discard(ARGV[2])
else
  finish(ARGV[3])
end
return 'done'
