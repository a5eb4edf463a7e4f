// Package gateway names the module that has the kinds of objects of the Gateway API.
package gateway

import _ "sigs.k8s.io/gateway-api/apis/v1" // so that go.mod has its module
