package main

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// loadBuildVersion and loadCodeSignature are Mach-O load commands that
// debug/macho does not name (mach-o/loader.h).
const (
	loadCodeSignature = 0x1d
	loadBuildVersion  = 0x32
)

// tagForm is a platform tag: the system, the oldest version of it (of glibc for
// manylinux), and the machine.
var tagForm = regexp.MustCompile(`^(linux|manylinux|macosx)(?:_(\d+)_(\d+))?_(x86_64|aarch64|arm64)$`)

// check makes sure that a binary runs where the wheel's tag says: on that
// machine, with that C library or system and nothing else. pip believes a tag.
func check(tag string, content []byte) error {
	form := tagForm.FindStringSubmatch(tag)
	if form == nil {
		return fmt.Errorf("%q is not a platform tag that MetaML is built for", tag)
	}
	system, machine := form[1], form[4]
	var oldest version
	if system != "linux" {
		oldest = parseVersion(form[2] + "." + form[3])
	}
	if system == "macosx" {
		return checkMac(machine, oldest, content)
	}
	return checkLinux(machine, system == "manylinux", oldest, content)
}

// version is major and minor.
type version [2]int

func (v version) String() string { return fmt.Sprintf("%d.%d", v[0], v[1]) }

func (v version) newerThan(w version) bool {
	return v[0] > w[0] || v[0] == w[0] && v[1] > w[1]
}

// parseVersion reads "2.17" or "2.2.5"; what is no number counts as zero.
func parseVersion(text string) version {
	var v version
	for i, part := range strings.SplitN(text, ".", 3) {
		if i < len(v) {
			v[i], _ = strconv.Atoi(part)
		}
	}
	return v
}

func checkLinux(machine string, portable bool, glibc version, content []byte) error {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("it is no Linux program: %w", err)
	}
	defer file.Close()
	want := map[string]elf.Machine{"x86_64": elf.EM_X86_64, "aarch64": elf.EM_AARCH64}[machine]
	if file.Machine != want {
		return fmt.Errorf("it is built for %v, not for %s", file.Machine, machine)
	}
	if !portable {
		return nil
	}
	needs, err := file.DynamicVersionNeeds()
	if errors.Is(err, elf.ErrNoSymbols) {
		return nil // static: it needs nothing
	}
	if err != nil {
		return fmt.Errorf("read what it needs: %w", err)
	}
	for _, need := range needs {
		if !strings.HasPrefix(need.Name, "lib") && !strings.HasPrefix(need.Name, "ld-linux") {
			return fmt.Errorf("it needs the library %q", need.Name)
		}
		for _, dependency := range need.Needs {
			text, ok := strings.CutPrefix(dependency.Dep, "GLIBC_")
			if !ok {
				return fmt.Errorf("it needs %s from %s, which is no part of glibc", dependency.Dep, need.Name)
			}
			if parseVersion(text).newerThan(glibc) {
				return fmt.Errorf("it needs glibc %s (from %s), newer than the %v that the tag promises", text,
					need.Name, glibc)
			}
		}
	}
	return nil
}

func checkMac(machine string, oldest version, content []byte) error {
	file, err := macho.NewFile(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("it is no macOS program: %w", err)
	}
	defer file.Close()
	if want := map[string]macho.Cpu{"x86_64": macho.CpuAmd64, "arm64": macho.CpuArm64}[machine]; file.Cpu != want {
		return fmt.Errorf("it is built for %v, not for %s", file.Cpu, machine)
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read what it needs: %w", err)
	}
	for _, library := range libraries {
		if !strings.HasPrefix(library, "/usr/lib/") && !strings.HasPrefix(library, "/System/Library/") {
			return fmt.Errorf("it needs the library %q, which is no part of macOS", library)
		}
	}
	signed := false
	for _, load := range file.Loads {
		raw := load.Raw()
		switch binary.LittleEndian.Uint32(raw) {
		case loadCodeSignature:
			signed = true
		case loadBuildVersion:
			// cmd, cmdsize, platform, minos as X.Y.Z in nibbles xxxx.yy.zz
			minimum := binary.LittleEndian.Uint32(raw[12:])
			needs := version{int(minimum >> 16), int(minimum >> 8 & 0xff)}
			if needs.newerThan(oldest) {
				return fmt.Errorf("it needs macOS %v, newer than the %v that the tag promises", needs, oldest)
			}
		}
	}
	if machine == "arm64" && !signed {
		return errors.New("it has no signature, and macOS on arm64 starts nothing without one")
	}
	return nil
}
