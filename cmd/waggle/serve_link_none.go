//go:build function

package main

import (
	"context"

	"waggle/console"
	"waggle/store/memory"
)

type linking struct{}

func (*service) hearChanges(*memory.Options) {}

func (*service) openLinks(context.Context) error { return nil }

func (*service) closeLinks() error { return nil }

func (*service) shownLinks() console.Links { return nil }
