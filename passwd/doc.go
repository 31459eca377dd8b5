// Package passwd hashes passwords, verifies them against hashes of its own and of other systems, and says which new ones are too easy to guess.
//
//	hasher, err := passwd.New(passwd.Config{})
//	policy, err := passwd.NewPolicy(passwd.PolicyConfig{Context: []string{"films.example.org"}})
//
//	err = policy.Check(password, user.Name, user.Mail)      // at sign-up, and at each change
//	user.Hash, err = hasher.Hash(ctx, password)
//
//	renewed, err := hasher.Login(ctx, user.Hash, password)  // at log-in; user.Hash is "" if there is no such user
//	if err == nil && renewed != "" {
//		user.Hash = renewed
//	}
//
// New hashes are argon2id as PHC strings. Hashes of argon2i, bcrypt, scrypt, PBKDF2 (PHC, passlib, Django), sha256_crypt and sha512_crypt are verified, and
// replaced as their owners log in. What a stored hash costs is judged before any work: one that asks for gigabytes is refused, not tried.
//
// A password is taken as it comes: its case, spaces, NUL bytes and length count, and it is never cut. The one exception is Unicode
// normalisation (NFC), without which the same key press on another machine would be another password.
//
// Hashing is made to be slow, so it is also a way to bring a server down. A [Hasher] works at a few hashes at a time, lets some more wait in the
// order of their arrival, and refuses the rest with [ErrBusy]; passwords over [MaxBytes] are refused before any work.
//
// That a password is wrong, that a user does not exist and that a user has no password are the same error, gatehouse.ErrLogin, after the same work. Whatever
// kept a password from being checked is another error, which the guard answers with 503: it neither lets anybody in nor says "wrong password".
package passwd
