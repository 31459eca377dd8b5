-- ARGV: a prefix that no record has, and whether there is more than sessions. Does everything that the other scripts do, with a record of its own that is
-- gone when it ends.
admit()
permit()
redis.call('EXISTS', key('session', 'probe'))
redis.call('HSET', key('session', 'probe'), 'owner', 'probe', 'id', 'probe', 'version', 1)
redis.call('HINCRBY', key('session', 'probe'), 'version', 1)
redis.call('SET', key('id', 'probe'), 'probe')
keep('probe', 'probe', 'probe', 1000)
local rec = find('probe')
if ARGV[2] == 'true' then
  redis.call('HKEYS', key('session', 'probe'))
  redis.call('ZRANGEBYSCORE', key('subject', 'probe'), '-inf', '+inf', 'LIMIT', 0, 1)
end
redis.call('ZRANGE', key('subject', 'probe'), 0, -1)
drop('probe', 'probe', 'probe')
return rec and rec.version
