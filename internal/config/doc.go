// Package config reads the one configuration file of the gatehouse binary.
//
// The file is YAML (.yaml, .yml) or JSON (.json). Either is first turned into the same tree of nodes with positions; then one walk over
// [Config] decodes the tree. The same description of [Config] that guides the walk also prints the JSON Schema ([Schema]) and the
// reference page ([Reference]), so that a key cannot be accepted without being documented.
//
//	cfg, err := config.Load("gatehouse.yaml", config.Options{Environ: os.Environ()})
//	var faults config.Faults
//	if errors.As(err, &faults) { … } // every fault, sorted, each with file:line:column
//
// A configuration with a fault is refused whole: Load returns either a complete Config or every [Fault] that was found. What is
// legal but unwise is in Config.Warnings. What this package cannot judge (two rules that are equal, a path pattern that does not compile)
// is reported by its caller through [Config.Fault], with the same positions.
//
// Messages quote the value that is wrong and nothing around it. Tokens, hashes, addresses and whatever came from the environment or
// from another file are never quoted.
package config

//go:generate go test -run ^TestGeneratedFiles$ . -update
