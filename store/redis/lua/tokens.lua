-- What the scripts of tokens share. A line is the hash of a family's id. An index lists names by when they expire, by the server's clock.

-- fields are what a record has, in the order in which scripts take and return them.
local fields = { 'id', 'purpose', 'subject', 'family', 'expires', 'left', 'used', 'next', 'sealed', 'body' }

-- lookup returns the record of a name, or nil. A record that an index does not list is none: to end a family, or all of a subject, must miss nothing,
-- even if the server has evicted the index.
local function lookup(name)
  local f = redis.call('HMGET', key('token', name), 'owner', 'line', unpack(fields))
  local owner, line = f[1], f[2]
  if not owner or not line or not redis.call('ZSCORE', key('holder', owner), name) then
    return nil
  end
  if line ~= '' and not redis.call('ZSCORE', key('family', line), name) then
    return nil
  end
  local rec = { name = name, owner = owner, line = line }
  for i, field in ipairs(fields) do
    rec[field] = f[i + 2]
  end
  return rec
end

-- answer returns a word and a record as the program reads them.
local function answer(word, rec)
  local list = { word, rec.name }
  for i, field in ipairs(fields) do
    list[i + 2] = rec[field]
  end
  return list
end

-- lives makes an index live for px milliseconds at least.
local function lives(index, px)
  if redis.call('PTTL', index) < px then
    redis.call('PEXPIRE', index, string.format('%.0f', px))
  end
end

-- enlist lists a name, drops what has expired, and makes the index live as long as its longest record.
local function enlist(index, name, now, px)
  redis.call('ZADD', index, string.format('%.0f', now + px), name)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('%.0f', now))
  lives(index, px)
end

-- add writes a record that lives for px milliseconds, more than none. Its fields are in ARGV, the first one at from; its family is the one given. The index of
-- a family has a member '.' that never expires, so that a family that has ended is known as long as one of its records could have lived.
local function add(name, owner, line, family, px, from)
  local values = {}
  for i, field in ipairs(fields) do
    values[2 * i - 1], values[2 * i] = field, ARGV[from + i - 1]
    if field == 'family' then
      values[2 * i] = family
    end
  end
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('HSET', key('token', name), 'owner', owner, 'line', line, unpack(values))
  redis.call('PEXPIRE', key('token', name), string.format('%.0f', px))
  enlist(key('holder', owner), name, now, px)
  if line ~= '' then
    redis.call('ZADD', key('family', line), '+inf', '.')
    enlist(key('family', line), name, now, px)
  end
end

-- discard removes a record and what lists it.
local function discard(name)
  local f = redis.call('HMGET', key('token', name), 'owner', 'line')
  redis.call('DEL', key('token', name))
  if f[1] then
    redis.call('ZREM', key('holder', f[1]), name)
  end
  if f[2] and f[2] ~= '' then
    redis.call('ZREM', key('family', f[2]), name)
  end
end

-- finish ends a family and reports whether there was anything to end.
local function finish(line)
  local ended = false
  for _, name in ipairs(redis.call('ZRANGE', key('family', line), 0, -1)) do
    if name ~= '.' then
      discard(name)
      redis.call('ZREM', key('family', line), name)
      ended = true
    end
  end
  return ended
end
