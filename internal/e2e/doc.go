// Package e2e tests Gatehouse with the servers that stand around it in real life: nginx, Caddy and HAProxy from the
// system's packages with the samples of deploy/, and fixtures that act as Traefik and Envoy do.
//
// It has no code of its own. A server that is not installed is skipped by name, and a failure where
// GATEHOUSE_TEST_PROXIES, for PostgreSQL and Redis GATEHOUSE_TEST_SERVERS, is 1.
package e2e
