// Package jsontext scans, reads, edits and writes JSON without decoding more of it than is needed.
// It bounds the nesting of what it reads, and it treats broken text in one way everywhere: what is not
// valid UTF-8 becomes U+FFFD.
package jsontext
