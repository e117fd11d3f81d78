package topics

import (
	"fmt"
	"slices"
	"strings"
)

// SQLSuffix ends the names of sidecars: orders-sql.
const SQLSuffix = "-sql"

// Ledger is the topic in which appliers remember what they applied. All sidecars
// share it, each under its service's key.
const Ledger = "sidestream-applied"

// versionMark stands between a topic's name and the number of its version: an
// applier that can't change a query in place builds a new version beside the old
// one, in the topic fraud-validations_v2.
const versionMark = "_v"

// ServiceID is ksqlDB's service id of a sidecar, for the service's name.
func ServiceID(service string) string { return service + "_" }

// Resource is a kind of what a Rule is about, in Kafka's words.
type Resource string

// Resources.
const (
	TopicResource Resource = "topic"
	Group         Resource = "group"
	TxnID         Resource = "transactional-id"
	Cluster       Resource = "cluster"
)

// Operation is what a Rule allows, in Kafka's words.
type Operation string

// Operations. Describe follows from Read, Write and Delete.
const (
	Read            Operation = "Read"
	Write           Operation = "Write"
	Create          Operation = "Create"
	Delete          Operation = "Delete"
	Alter           Operation = "Alter"
	Describe        Operation = "Describe"
	DescribeConfigs Operation = "DescribeConfigs"
	AlterConfigs    Operation = "AlterConfigs"
)

// ClusterName is the name of the one resource of kind Cluster.
const ClusterName = "kafka-cluster"

// Rule allows a principal operations on a resource, from any host. What no rule
// allows is denied.
type Rule struct {
	Principal string   `json:"principal"` // without Kafka's "User:"
	Resource  Resource `json:"resource"`
	Name      string   `json:"name"`
	// Prefix: the resources whose names begin with Name.
	Prefix     bool        `json:"prefix,omitempty"`
	Operations []Operation `json:"operations"`
}

// Allows tells whether the rule allows it. Name is a resource's full name.
func (r Rule) Allows(principal string, resource Resource, name string, op Operation) bool {
	if r.Principal != principal || r.Resource != resource {
		return false
	}
	if r.Name != name && !(r.Prefix && strings.HasPrefix(name, r.Name)) {
		return false
	}
	if slices.Contains(r.Operations, op) {
		return true
	}
	switch op {
	case Describe:
		return slices.ContainsFunc(r.Operations, func(o Operation) bool { return o == Read || o == Write || o == Delete || o == Alter })
	case DescribeConfigs:
		return slices.Contains(r.Operations, AlterConfigs)
	}
	return false
}

// Principals are those who own or read a topic, sorted.
func Principals(topics []Topic) []string {
	var out []string
	for _, t := range topics {
		out = append(out, t.Owner)
		out = append(out, t.Readers...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Rules are the access rules that the topics ask for: by principal, then in the
// topics' order, each principal's own groups and ids after its topics.
func Rules(topics []Topic) ([]Rule, error) {
	principals := Principals(topics)
	if err := distinct(principals); err != nil {
		return nil, err
	}
	var out []Rule
	for _, p := range principals {
		for _, t := range topics {
			switch {
			case t.Owner == p:
				out = append(out, Rule{Principal: p, Resource: TopicResource, Name: t.Name, Operations: []Operation{Read, Write, Describe, DescribeConfigs}})
				if versions := t.Name + versionMark; strings.HasSuffix(p, SQLSuffix) {
					out = append(out, Rule{Principal: p, Resource: TopicResource, Name: versions, Prefix: true, Operations: []Operation{Read, Write, Create, Delete, Describe, DescribeConfigs}})
				}
			case t.Readers == nil || slices.Contains(t.Readers, p):
				out = append(out, Rule{Principal: p, Resource: TopicResource, Name: t.Name, Operations: []Operation{Read, Describe, DescribeConfigs}})
				if versions := t.Name + versionMark; strings.HasSuffix(t.Owner, SQLSuffix) {
					out = append(out, Rule{Principal: p, Resource: TopicResource, Name: versions, Prefix: true, Operations: []Operation{Read, Describe, DescribeConfigs}})
				}
			}
		}
		if service, ok := strings.CutSuffix(p, SQLSuffix); ok {
			out = append(out, sidecarRules(p, ServiceID(service))...)
		} else {
			out = append(out, programRules(p)...)
		}
	}
	return out, nil
}

// programRules are a program's groups and transactional ids.
func programRules(p string) []Rule {
	return []Rule{
		{Principal: p, Resource: Group, Name: p, Operations: []Operation{Read, Describe}},
		{Principal: p, Resource: Group, Name: p + "-", Prefix: true, Operations: []Operation{Read, Describe}},
		{Principal: p, Resource: TxnID, Name: p + "-", Prefix: true, Operations: []Operation{Write, Describe}},
	}
}

// sidecarRules are what ksqlDB and the embedded engine need for themselves.
func sidecarRules(p, id string) []Rule {
	all := []Operation{Read, Write, Create, Delete, Describe, DescribeConfigs, Alter, AlterConfigs}
	rules := []Rule{{Principal: p, Resource: TopicResource, Name: Ledger, Operations: []Operation{Read, Write, Create, Describe, DescribeConfigs}}}
	for _, prefix := range []string{"_confluent-ksql-" + id, "_sidestream-" + id, id} {
		rules = append(rules, Rule{Principal: p, Resource: TopicResource, Name: prefix, Prefix: true, Operations: all})
	}
	return append(rules,
		Rule{Principal: p, Resource: Group, Name: "_confluent-ksql-" + id, Prefix: true, Operations: []Operation{Read, Delete, Describe}},
		Rule{Principal: p, Resource: TxnID, Name: "_confluent-ksql-" + id, Prefix: true, Operations: []Operation{Write, Describe}},
		Rule{Principal: p, Resource: TxnID, Name: "_sidestream-" + id, Prefix: true, Operations: []Operation{Write, Describe}},
		Rule{Principal: p, Resource: TxnID, Name: id, Prefix: true, Operations: []Operation{Write, Describe}}, // of ksqlDB's command topic
		Rule{Principal: p, Resource: Cluster, Name: ClusterName, Operations: []Operation{Describe, DescribeConfigs}},
	)
}

// distinct refuses programs one of whose names begins with another's and a
// hyphen: the rules for groups and ids go by that beginning.
func distinct(principals []string) error {
	for _, a := range principals {
		if strings.HasSuffix(a, SQLSuffix) {
			continue
		}
		for _, b := range principals {
			if strings.HasPrefix(b, a+"-") && !strings.HasSuffix(b, SQLSuffix) {
				return fmt.Errorf("service %s begins with the name of service %s and a hyphen: %s could use its consumer groups and transactional ids; choose another name", b, a, a)
			}
		}
	}
	return nil
}
