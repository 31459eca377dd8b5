// Package token makes and verifies tokens, each of which is good for one purpose.
package token
