package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"copse/config/build"
)

// document is a list of what a binary consists of, as SPDX 2.3.
type document struct {
	SPDXVersion       string         `json:"spdxVersion"`
	DataLicense       string         `json:"dataLicense"`
	SPDXID            string         `json:"SPDXID"`
	Name              string         `json:"name"`
	DocumentNamespace string         `json:"documentNamespace"`
	CreationInfo      creation       `json:"creationInfo"`
	Packages          []part         `json:"packages"`
	Relationships     []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type part struct {
	Name             string      `json:"name"`
	SPDXID           string      `json:"SPDXID"`
	VersionInfo      string      `json:"versionInfo"`
	DownloadLocation string      `json:"downloadLocation"`
	FilesAnalyzed    bool        `json:"filesAnalyzed"`
	LicenseConcluded string      `json:"licenseConcluded"`
	LicenseDeclared  string      `json:"licenseDeclared"`
	CopyrightText    string      `json:"copyrightText"`
	ExternalRefs     []reference `json:"externalRefs,omitempty"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

const unsaid = "NOASSERTION"

// spdx lists the modules that are recorded in a binary.
func (r *release) spdx(arch, binary string, modules []module) ([]byte, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	body, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	name := "copse-" + build.Version + "-linux-" + arch
	d := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", Name: name,
		DocumentNamespace: fmt.Sprintf("urn:copse:%s:sha256:%x", name, sha256.Sum256(body)),
		CreationInfo:      creation{r.time.Format("2006-01-02T15:04:05Z"), []string{"Tool: copse/bench/release"}},
	}
	add := func(name, version, license, locator string) {
		id := "SPDXRef-" + fmt.Sprint(len(d.Packages))
		p := part{Name: name, SPDXID: id, VersionInfo: version, DownloadLocation: unsaid, LicenseConcluded: unsaid, LicenseDeclared: license, CopyrightText: unsaid}
		if locator != "" {
			p.ExternalRefs = []reference{{"PACKAGE-MANAGER", "purl", locator}}
		}
		d.Packages = append(d.Packages, p)
		if len(d.Packages) == 1 {
			d.Relationships = append(d.Relationships, relationship{d.SPDXID, "DESCRIBES", id})
		} else {
			d.Relationships = append(d.Relationships, relationship{"SPDXRef-0", "STATIC_LINK", id})
		}
	}
	add("copse", build.Version, "Apache-2.0", "")
	add("std", info.GoVersion, "BSD-3-Clause", "pkg:golang/std@"+strings.TrimPrefix(info.GoVersion, "go"))
	for _, dep := range info.Deps {
		at := slices.IndexFunc(modules, func(m module) bool { return m.name == dep.Path+" "+dep.Version })
		if at < 0 {
			return nil, fmt.Errorf("%s %s is linked, but no licence of it was found", dep.Path, dep.Version)
		}
		add(dep.Path, dep.Version, declared(modules[at].texts), "pkg:golang/"+dep.Path+"@"+dep.Version)
	}
	text, err := json.MarshalIndent(&d, "", "  ")
	return append(text, '\n'), err
}

// declared is the expression for the licences that the texts are known for.
func declared(texts []string) string {
	var names []string
	for _, text := range texts {
		name := ""
		switch has := func(s string) bool { return strings.Contains(text, s) }; {
		case has("Apache License") && has("Version 2.0"):
			name = "Apache-2.0"
		case has("Mozilla Public License"):
			name = "MPL-2.0"
		case has("Permission is hereby granted, free of charge"):
			name = "MIT"
		case has("Redistribution and use in source") && has("Neither the name"):
			name = "BSD-3-Clause"
		case has("Redistribution and use in source"):
			name = "BSD-2-Clause"
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return unsaid
	}
	slices.Sort(names)
	return strings.Join(names, " AND ")
}
