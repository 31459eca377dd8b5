package keyring

import (
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse"
)

// The errors of keys and rings. Test with errors.Is: they come wrapped. Errors of a ring that wrap neither [ErrSignature] nor [ErrUnknownKey] mean that
// something could not be done or checked.
var (
	// ErrSignature wraps gatehouse.ErrCredential: the signature is not the key's, or what was sealed does not open.
	ErrSignature = fmt.Errorf("%w: bad signature", gatehouse.ErrCredential)
	// ErrUnknownKey wraps gatehouse.ErrCredential: the ring has no key of this id, or has none any more.
	ErrUnknownKey = fmt.Errorf("%w: unknown key", gatehouse.ErrCredential)
	// ErrWeak: the key or secret is too short, or too easily guessed.
	ErrWeak = errors.New("weak key")
	// ErrForm: the text is no key of the kind that is wanted, such as a public key where a secret belongs.
	ErrForm = errors.New("not a key of this kind")
	// ErrMaster: the ring was sealed with another master key, or a record of it is damaged. Nothing is made anew then: the right master key, or a backup,
	// brings the keys back.
	ErrMaster = errors.New("the key ring cannot be opened")
	// ErrStatic: the ring consists of the keys that it was made of, and nothing about it changes.
	ErrStatic = errors.New("the keys of this ring are fixed")
)
