// Package redis keeps sessions in a Redis or Valkey server that several processes share: Redis 6 or later, any Valkey, not a cluster of them.
//
//	options, err := redis.ParseURL("rediss://gatehouse:secret@redis.example.org/0")
//	db, err := redis.Open(ctx, options)
//	log.Print(db) // redis redis.example.org:6379 db 0 (TLS): connected (redis 7.0.15)
//	sessions := session.New(redis.Sessions(db), session.Config{})
//
// # When the server fails
//
// A password, user, permission, database number or certificate that is wrong makes [Open] fail, with a sentence that says which. A server that cannot be
// reached does not: Open returns a [DB] that is not ready, [DB.Ping] says so, every call returns an error, so that checks are answered 503, and when the
// server comes everything works without anybody's doing. The same holds for a server that goes away later. No call takes longer than [Options.Timeout], even
// if the server accepts connections and says nothing. A call that fails may have been done all the same, and one that timed out may still be done when a
// hung server goes on; the outcome of a call is certain only if it returned nil or one of the errors that session.Store names.
//
// What a server answers while it refuses to write is an error, never a session: a replica (READONLY), a primary that has lost its replicas (NOREPLICAS), a
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
// A primary that was cut off and does not know that it has been replaced goes on answering unless min-replicas-to-write is set. Where a log-out must
// survive all that, keep sessions in SQL. FLUSHALL, and every other loss of keys, signs people out and never brings anybody back.
//
// A record expires in Redis at its deadline, counted from now by the clock of the program ([Options.Now]) when it is written; the clocks of program and
// server need not agree. A record whose deadline is past may be gone at once. There is nothing to prune.
//
// Set maxmemory-policy to noeviction: then a full server refuses log-ins, which are answered 503. Under every other policy it ends sessions that are in use instead,
// at its own choice; volatile-* at least spares the keys of other programs that have no expiry. Nothing worse happens: a session counts only while the
// index of its subject lists it, so that "end all sessions of anna" misses none even if the index was evicted.
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
// A user that may do no more than the store needs:
//
//	ACL SETUSER gatehouse on >secret ~{gatehouse}:* +hello +ping +select +eval +evalsha +time +exists +del +set +pexpire +pttl
//	    +hset +hmget +hincrby +zadd +zscore +zrange +zrem +zremrangebyscore
//
// Client tracking is not used, so managed services that refuse it will do. Without TLS, sessions and the password cross the network in the clear; that is
// allowed, since many networks are private, and [DB.String] says so unless the host is the machine itself.
package redis
