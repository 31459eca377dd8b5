package passwd_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/passwd"
)

// hashOfJack is from a database of another system (passlib's sha256_crypt).
const hashOfJack = "$5$rounds=535000$2kqN9fxCY6Xt5/pi$tVnh0xX87g/IsnOSuorZG608CZDFbWIWBr58ay6S4pD"

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func Example() {
	ctx := context.Background()
	hasher := must(passwd.New(passwd.Config{}))
	policy := must(passwd.NewPolicy(passwd.PolicyConfig{Context: []string{"films.example.org"}}))

	// Sign-up.
	const password = "my dog eats blue cheese"
	if err := policy.Check(password, "jack", "jack@example.org"); err != nil {
		fmt.Println(err)
		return
	}
	hashes := map[string]string{"jack": must(hasher.Hash(ctx, password))}

	// Log-in. A name that nobody has gives the empty hash, and costs what a wrong password does.
	for _, try := range [][2]string{{"jack", password}, {"jack", "my dog"}, {"nobody", password}} {
		_, err := hasher.Login(ctx, hashes[try[0]], try[1])
		fmt.Println(try[0], err == nil, errors.Is(err, gatehouse.ErrLogin))
	}
	// Output:
	// jack true false
	// jack false true
	// nobody false true
}

func ExampleNew() {
	hasher, err := passwd.New(passwd.Config{
		Params:   passwd.Params{Memory: 64 << 10, Time: 3},
		Parallel: 2, // at most 128 MiB at once
		Peppers:  []passwd.Pepper{{ID: "2026", Secret: gatehouse.NewSecret("read this from a file, not from code")}},
	})
	fmt.Println(hasher.Params(), err)

	_, err = passwd.New(passwd.Config{Params: passwd.Params{Memory: 1024}})
	fmt.Println(err)
	// Output:
	// m=65536,t=3,p=1 <nil>
	// passwd: m=1024,t=2,p=1 is less than a password hash has to cost: 7168 KiB, and memory × passes of 35840 KiB
}

func ExampleHasher_Hash() {
	hasher := must(passwd.New(passwd.Config{}))
	hash, err := hasher.Hash(context.Background(), "my dog eats blue cheese")
	fmt.Println(hash[:strings.LastIndex(hash[:40], "$")], err)
	// Output: $argon2id$v=19$m=19456,t=2,p=1 <nil>
}

func ExampleHasher_Verify() {
	hasher := must(passwd.New(passwd.Config{}))
	for _, password := range []string{"password", "Password"} {
		result, err := hasher.Verify(context.Background(), hashOfJack, password)
		fmt.Println(result.Rehash, result.Reason, err)
	}
	// Output:
	// true its format is sha256_crypt, new hashes are argon2id <nil>
	// false  bad credential: wrong name or password
}

func ExampleHasher_Login() {
	hasher := must(passwd.New(passwd.Config{}))
	stored := hashOfJack
	for range 2 {
		renewed, err := hasher.Login(context.Background(), stored, "password")
		if err != nil {
			fmt.Println(err)
			return
		}
		if renewed != "" {
			stored = renewed // UPDATE users SET hash = $renewed WHERE name = 'jack' AND hash = $stored
		}
		fmt.Println(renewed != "", stored[:10])
	}
	// Output:
	// true $argon2id$
	// false $argon2id$
}

func ExampleHasher_Load() {
	hasher := must(passwd.New(passwd.Config{}))
	taken, waiting := hasher.Load()
	fmt.Println(taken, waiting)
	// Output: 0 0
}

func ExampleInspect() {
	for _, hash := range []string{hashOfJack, "$6$rounds=999999999$salt$" + strings.Repeat("x", 86), "letmein"} {
		info, err := passwd.Inspect(hash)
		fmt.Println(info.Format, info.Cost, err)
	}
	// Output:
	// sha256_crypt rounds=535000 <nil>
	//   passwd: the stored hash cannot be checked: sha512_crypt with 999999999 rounds, and not 1000 to 1000000
	//   passwd: the stored hash cannot be checked: it is of no known format
}

func ExampleHasher_Inspect() {
	hasher := must(passwd.New(passwd.Config{}))
	info, err := hasher.Inspect(hashOfJack)
	fmt.Println(info.Format, info.Cost, err)
	// Output: sha256_crypt rounds=535000 <nil>
}

func ExamplePolicy_Check() {
	policy := must(passwd.NewPolicy(passwd.PolicyConfig{
		Blocked: []string{"what the dog ate last summer"}, // it got known
		Context: []string{"films.example.org"},
	}))
	for _, password := range []string{
		"my dog eats blue cheese", "short", "P4ssw0rdP4ssw0rd", "What the d0g ate last Summer", "qwertyuiop123456", "jack-films-2026", "lalalalalalalala",
	} {
		err := policy.Check(password, "jack@example.org")
		if refusal, ok := errors.AsType[*passwd.Refusal](err); ok {
			fmt.Println(refusal.Code)
			continue
		}
		fmt.Println("taken")
	}
	fmt.Println(policy.Check("passwordpassword"))
	// Output:
	// taken
	// too_short
	// common
	// common
	// pattern
	// personal
	// repeats
	// the password is well known: it is among the first that are tried. Choose another one
}

func ExampleNewPolicy() {
	_, err := passwd.NewPolicy(passwd.PolicyConfig{MinLength: 6})
	fmt.Println(err)
	// Output: passwd: a MinLength of 6: it has to be at least 8, and 15 where nothing but the password is asked for
}

func ExampleCalibrate() {
	measured, err := passwd.Calibrate(context.Background(), passwd.CalibrateConfig{Target: time.Nanosecond, Memory: 7168})
	if measured.Took > time.Nanosecond {
		fmt.Println("nothing that is worth storing is so fast; the cheapest is", measured.Params, err)
	}
	// Output: nothing that is worth storing is so fast; the cheapest is m=7168,t=5,p=1 <nil>
}
