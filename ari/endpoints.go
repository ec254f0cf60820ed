package ari

import (
	"context"
	"encoding/json"
	"fmt"

	cyari "github.com/CyCoreSystems/ari/v5"
)

// Endpoints lists the endpoints that Asterisk has now, as "PJSIP/101". (GET
// /endpoints; a read-only user may ask.)
func (r *REST) Endpoints(ctx context.Context) ([]string, error) {
	body, err := r.get(ctx, "/endpoints")
	if err != nil {
		return nil, err
	}
	var list []cyari.EndpointData
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("reading /endpoints: %w: %w", ErrAnswer, err)
	}
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.Technology + "/" + e.Resource
	}
	return names, nil
}
