// Package scaffold makes a new service: a thin program, its SQL, SQL test,
// topics, and the entries in the lists, so that it builds, passes its tests and
// runs in `sidestream dev` at once.
//
// In: a name and a language. Out: files, all new, and entries at the ends of three
// lists: ksql/topics.yaml, services/services.yaml, helm/sidestream/values.yaml.
// Nothing else is touched.
//
//	[orders] ─► ksql/NAME: which orders ─► [NAME-orders] ─► services/NAME: one note an order ─► [NAME-notes]
//
// templates/ holds the files: sql for every service, and a folder a language.
// They are texts of package text/template with @{ }@ for its brackets; a name
// ends in .tmpl.
//
// Next: sidestream new service calls it.
package scaffold
