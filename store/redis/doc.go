// Package redis keeps sessions, tokens, keys and revocations in a Redis or Valkey server that several processes share: Redis 6 or later, any Valkey, not a
// cluster of them.
//
//	options, err := redis.ParseURL("rediss://gatehouse:secret@redis.example.org/0")
//	db, err := redis.Open(ctx, options)
//	log.Print(db) // redis redis.example.org:6379 db 0 (TLS): connected (redis 7.0.15)
//	sessions := session.New(redis.Sessions(db), session.Config{})
//	revoked := revoke.New(redis.Revocations(db), revoke.Config{Bells: []revoke.Bell{redis.Bell(db)}})
//
// What Redis has acknowledged it may lose, and with it that somebody has logged out: read the section on that first. Where "logged out" must hold whatever happens to a server,
// keep tokens, keys and revocations in SQL, and let Redis be the cache of sessions and the [Bell].
//
// # When the server fails
//
// A password, user, permission, database number or certificate that is wrong makes [Open] fail, with a sentence that says which. A server that cannot be
// reached does not: Open returns a [DB] that is not ready, [DB.Ping] says so, every call returns an error, so that checks are answered 503, and when the
// server comes everything works without anybody's doing. The same holds for a server that goes away later. No call takes longer than [Options.Timeout], even
// if the server accepts connections and says nothing. A call that fails may have been done all the same, and one that timed out may still be done when a
// hung server goes on; the outcome of a call is certain only if it returned nil or one of the errors that the interfaces of stores name.
//
// What a server answers while it refuses to write is an error, never a session, a token or a key: a replica (READONLY), a primary that has lost its replicas (NOREPLICAS), a
// server that is full (OOM) or loads its data (LOADING). Reading is refused on a replica as well, since it may not have heard of a log-out. Only
// a server that cannot save to its disk (MISCONF) still answers what it is asked; nobody can sign in or out until the disk has room again.
//
// The server is trusted: who can write to it, or change what it sends on the way, can sign in as anybody, and can make the program end. So what answers is
// greeted first: the password is only sent to what answers as Redis does.
//
// # What is kept, and for how long
//
// What Redis has acknowledged is as durable as Redis is configured to be, and no more. Without persistence a restart signs everybody out. With an append-only
// file, "appendfsync everysec" may lose the last second: a log-in, or a log-out, so that a session which was ended in that second lives again until
// its deadline; "appendfsync always" loses nothing. Replication is asynchronous: a failover may lose writes that were acknowledged, and with them log-outs.
// A primary that was cut off and does not know that it has been replaced goes on answering unless min-replicas-to-write is set. FLUSHALL, and every other loss of all keys, signs people
// out and never brings a session or a token back.
//
// What a loss of the latest writes means for each:
//
//   - Sessions: one that was ended lives again, unless the list of revocations names it.
//   - Tokens: one that was used up works once more; a refresh token that was replaced works again, for a thief too, who would otherwise have been noticed, and its successor is
//     unknown, so that the rightful owner must log in again; a log-in that was ended may be renewed again, unless the list of revocations names it, which package
//     token asks at each renewal; the id of an assertion that was presented may come a second time while the assertion is valid.
//   - Keys: a new key is gone, and what it has signed is refused; a key that was retired for good is back, and so is what its thief signs, unless it was revoked as well
//     (revoke.List.RevokeKey).
//   - Revocations: the lists of running processes notice, and put back what they know. Until they have looked, which takes no longer than revoke.Config.Poll, a process that
//     starts meanwhile does not know. What no running process has read is lost.
//
// A session or a token expires in Redis at its deadline, counted from now by the clock of the program ([Options.Now]) when it is written; the clocks of program and
// server need not agree. What is past its deadline may be gone at once. There is nothing to prune of sessions and tokens. Entries of the feed of revocations are removed by
// revoke.List.Prune; those that nobody prunes for a day go when others are added. Key rings stay.
//
// Set maxmemory-policy to noeviction: then a full server refuses log-ins, which are answered 503. Under volatile-* it ends sessions and log-ins that are in use instead,
// at its own choice, and nothing worse: a session or a token counts only while the indexes of its subject and its family list it, so that "end all of anna" misses
// none even if an index was evicted. Under allkeys-* it may also throw away all keys, or all revocations, at once: do not use it for them.
//
// # Keys
//
// With the default prefix, a session is the hash {gatehouse}:session:KEY, where KEY is the base64url form of the record's key (itself the SHA-256 of the
// browser's secret); {gatehouse}:id:ID reserves its id; and {gatehouse}:subject:HASH is a sorted set of the keys of one subject by expiry, where HASH is the
// base64url SHA-256 of the subject, so that any bytes of any length make one short name. The index lives as long as its longest session, and what has
// expired is dropped from it whenever it is written. The braces are a hash tag: each step touches several keys in one script, and behind a proxy that
// distributes keys they all stay together. Two installations in one database need two prefixes.
//
// A hash per session rather than one packed value lets the scripts compare the version and move the times without sending the body to and fro.
//
// Likewise, a token is the hash {gatehouse}:token:KEY, {gatehouse}:holder:HASH lists those of one subject, and {gatehouse}:family:HASH those of one family; it also
// says that there was such a family, and so stays when the family has ended, for as long as its tokens could have lived. {gatehouse}:rings is a hash of all key rings.
// {gatehouse}:revocations is a sorted set, the feed, in which the member "last" keeps the highest place that was ever given, and {gatehouse}:revocations:expiry says
// when its entries expire. The bell is the channel {gatehouse}:bell:0, where 0 is the number of the database.
//
// A user that may do no more than sessions need:
//
//	ACL SETUSER gatehouse on >secret ~{gatehouse}:* +hello +ping +select +eval +evalsha +time +exists +del +set +pexpire +pttl
//	    +hset +hmget +hincrby +zadd +zscore +zrange +zrem +zremrangebyscore
//
// Keys, tokens, revocations and the bell need besides:
//
//	ACL SETUSER gatehouse &{gatehouse}:* +hkeys +zrangebyscore +publish +subscribe
//
// Client tracking is not used, so managed services that refuse it will do. Without TLS, sessions, tokens and the password cross the network in the clear; that is
// allowed, since many networks are private, and [DB.String] says so unless the host is the machine itself.
package redis
