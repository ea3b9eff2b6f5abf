package main

import (
	"fmt"
	"net/http"

	"waggle/config"
	"waggle/console/client"
	"waggle/public"
)

// publicPages answers strangers at the tracker's own address; nil: nothing does.
func (s *service) publicPages() (http.Handler, error) {
	if !s.config.Console.Public {
		return nil, nil
	}
	swarms, ok := s.store.(public.Swarms)
	if !ok {
		return nil, fmt.Errorf("console.public: nothing can be shown of what is in %s", s.config.Store)
	}
	return public.New(public.Options{Catalog: s.catalog, Swarms: swarms, Log: s.log}), nil
}

// showConfiguration has the console show a configuration that is in force.
func (s *service) showConfiguration(l *config.Loaded) {
	shown := client.Configuration{File: l.Path, Settings: []client.Setting{}, Sections: config.Sections()}
	for _, k := range l.Effective() {
		shown.Settings = append(shown.Settings, client.Setting{
			Key: k.Key, Section: k.Section, Value: k.Value, Default: k.Default, Source: k.Source.String(),
			Doc: k.Doc, Hidden: k.Hidden, Flag: k.Flag, Environment: k.Environment,
		})
	}
	s.configuration.Store(&shown)
}
