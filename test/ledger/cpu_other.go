//go:build !unix

package main

import "time"

// processorTime returns 0: this system has no simple way to ask.
func processorTime() time.Duration { return 0 }
