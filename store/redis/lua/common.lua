-- What all scripts share. ARGV[1] begins all keys. A record is named by its key, an owner is the hash of a subject.
local prefix = ARGV[1]

local function key(kind, of)
  return prefix .. kind .. ':' .. of
end

-- admit stops the script unless the server takes new data. It changes nothing: there is no such key, and XX does not make one.
local function admit()
  redis.call('SET', prefix .. 'fence', '', 'XX')
end

-- permit stops the script unless the server takes writes. A full server does: something may be removed from it.
local function permit()
  redis.call('DEL', prefix .. 'fence')
end

-- stale returns an error if the server is one that others write to without it: a replica, or a primary without its replicas. It may not have
-- heard of a log-out. A server that refuses to write because its disk is full (MISCONF) knows all there is.
local function stale()
  local answer = redis.pcall('DEL', prefix .. 'fence')
  if type(answer) == 'table' and answer.err and not string.find(answer.err, 'MISCONF', 1, true) then
    return answer
  end
  return nil
end

-- find returns what scripts need of a record, or nil. A record that its subject's index does not list is none: to end all sessions of a subject
-- must miss no session, even if the server has evicted the index.
local function find(name)
  local f = redis.call('HMGET', key('session', name), 'owner', 'id', 'seen', 'version')
  if f[1] and redis.call('ZSCORE', key('subject', f[1]), name) then
    return { owner = f[1], id = f[2], seen = f[3], version = f[4] }
  end
  return nil
end

-- drop removes a record and everything that points to it.
local function drop(name, owner, id)
  redis.call('DEL', key('session', name), key('id', id))
  redis.call('ZREM', key('subject', owner), name)
end

-- keep makes a record live for px milliseconds, and its index at least as long. All times are the server's own. What has expired leaves the index. If px
-- is not positive, the record is what expires: the commands below remove it.
local function keep(name, owner, id, px)
  local index, time = key('subject', owner), redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('PEXPIRE', key('session', name), string.format('%.0f', px))
  redis.call('PEXPIRE', key('id', id), string.format('%.0f', px))
  redis.call('ZADD', index, string.format('%.0f', now + px), name)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('%.0f', now))
  if redis.call('PTTL', index) < px then
    redis.call('PEXPIRE', index, string.format('%.0f', px))
  end
end
