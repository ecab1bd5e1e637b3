// Package jsontext scans, reads, edits and writes JSON, and decodes no more of it than necessary. It limits
// the nesting of JSON that it reads. Invalid UTF-8 becomes U+FFFD.
package jsontext
