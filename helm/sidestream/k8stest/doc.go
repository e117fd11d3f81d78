// Package k8stest tries the chart on a real cluster: what a user does with it,
// from install to uninstall, with nothing lost in between.
//
// In: a cluster that kubectl points to, with the images in it; kubectl and helm in
// the PATH. Out: a test that passes or says what was wrong, with the cluster's
// events and the containers' logs.
//
//	install ─► orders validated ─► the fraud limit edited, helm upgrade ─► new
//	outcome ─► pods killed under load ─► every order has its one final state ─► uninstall
//
// It runs with K8S_TEST=1, by `make test-k8s`, which builds and loads the images.
package k8stest
