package console

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"waggle/console/client"
)

// addConfiguration serves the configuration that is in force, which is for an admin:
// it names files and machines.
func (a *api) addConfiguration(o *Options) {
	huma.Register(a.huma, operation(http.MethodGet, "/configuration", "get-configuration",
		"The configuration in force, with where each value comes from"),
		func(context.Context, *struct{}) (*answer[client.Configuration], error) {
			all := client.Configuration{Settings: []client.Setting{}, Sections: map[string]string{}}
			if o.Configuration != nil {
				all = o.Configuration()
			}
			return &answer[client.Configuration]{all}, nil
		})
}
