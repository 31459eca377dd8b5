// Package revoke keeps what was revoked before its time: a [List] in the process, fed by a durable feed.
package revoke
