package main

import (
	"archive/zip"
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestZipHasTheBinaryAsBootstrap(t *testing.T) {
	dir := t.TempDir()
	binary, packed := filepath.Join(dir, "waggle"), filepath.Join(dir, "waggle.zip")
	want := []byte(strings.Repeat("a binary ", 1000))
	if err := os.WriteFile(binary, want, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{binary, packed}); err != nil {
		t.Fatal(err)
	}
	r, err := zip.OpenReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if len(r.File) != 1 || r.File[0].Name != "bootstrap" || r.File[0].Mode() != 0o755 {
		t.Fatalf("%+v", r.File)
	}
	f, err := r.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestSameBinaryMakesTheSameZip(t *testing.T) {
	first, err := pack([]byte("a binary"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := pack([]byte("a binary")); err != nil || !bytes.Equal(first, again) {
		t.Errorf("another zip, %v", err)
	}
}

func TestZipThatIsTooLargeIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	binary, packed := filepath.Join(dir, "waggle"), filepath.Join(dir, "waggle.zip")
	large := make([]byte, limit+1)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large) // which no compressor makes smaller
	if err := os.WriteFile(binary, large, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{binary, packed}); err == nil || !strings.Contains(err.Error(), "build tag") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(packed); err == nil {
		t.Error("it was written")
	}
	if run(nil) == nil || run([]string{filepath.Join(dir, "none"), packed}) == nil {
		t.Error("nothing was packed")
	}
}
