// Package policy says what messages may ask for: see [Policy]. It reads commands, and asks no engine. Begin with [Check].
package policy
