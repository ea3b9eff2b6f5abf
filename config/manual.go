package config

// Manual returns what a manual of the configuration begins with, and what each section
// is for, by its name. Both are written as doc comments are. [Loaded.Effective] has the
// keys.
func Manual() (introduction string, sections map[string]string) {
	s := declared()
	sections = make(map[string]string, len(s.sections))
	for name, section := range s.sections {
		sections[name] = section.doc
	}
	return header(s.doc), sections
}

// Defaults returns the configuration of a waggle that is told nothing, as one that was
// loaded.
func Defaults() *Loaded { return &Loaded{Config: Default()} }
