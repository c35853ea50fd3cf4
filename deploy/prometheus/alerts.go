// Package prometheus has the alerts that this folder is for, as the web page shows them.
package prometheus

import _ "embed"

// Alerts is alerts.yaml.
//
//go:embed alerts.yaml
var Alerts []byte
