package topics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Diff is how a cluster's rules differ from those that the topics ask for: a line
// each, as "orders: Write topic orders".
type Diff struct {
	Total   int      `json:"total"` // rules that are asked for, one for each operation
	Missing []string `json:"missing"`
	Extra   []string `json:"extra"`
}

// entry is one rule of Kafka's: one operation.
type entry struct {
	principal string // with User:
	resource  kmsg.ACLResourceType
	name      string
	pattern   kmsg.ACLResourcePatternType
	operation kmsg.ACLOperation
}

func (e entry) String() string {
	name := e.name
	if e.pattern == kmsg.ACLResourcePatternTypePrefixed {
		name += "*"
	}
	op := e.operation.String()
	for o, k := range operations {
		if k == e.operation {
			op = string(o)
		}
	}
	kind := e.resource.String()
	for r, k := range resources {
		if k == e.resource {
			kind = string(r)
		}
	}
	return fmt.Sprintf("%s: %s %s %s", strings.TrimPrefix(e.principal, "User:"), op, kind, name)
}

var resources = map[Resource]kmsg.ACLResourceType{
	TopicResource: kmsg.ACLResourceTypeTopic, Group: kmsg.ACLResourceTypeGroup,
	TxnID: kmsg.ACLResourceTypeTransactionalId, Cluster: kmsg.ACLResourceTypeCluster,
}

var operations = map[Operation]kmsg.ACLOperation{
	Read: kmsg.ACLOperationRead, Write: kmsg.ACLOperationWrite, Create: kmsg.ACLOperationCreate,
	Delete: kmsg.ACLOperationDelete, Alter: kmsg.ACLOperationAlter, Describe: kmsg.ACLOperationDescribe,
	DescribeConfigs: kmsg.ACLOperationDescribeConfigs, AlterConfigs: kmsg.ACLOperationAlterConfigs,
}

func entries(rules []Rule) []entry {
	var out []entry
	for _, r := range rules {
		pattern := kmsg.ACLResourcePatternTypeLiteral
		if r.Prefix {
			pattern = kmsg.ACLResourcePatternTypePrefixed
		}
		for _, op := range r.Operations {
			out = append(out, entry{"User:" + r.Principal, resources[r.Resource], r.Name, pattern, operations[op]})
		}
	}
	return out
}

// Apply makes the rules on the cluster, and takes away from their principals what
// no rule gives; other principals' rules, and rules that deny, stay. With dryRun
// it only compares. The client needs Alter (Describe) on the cluster.
func Apply(ctx context.Context, cl *kgo.Client, rules []Rule, dryRun bool) (*Diff, error) {
	want := entries(rules)
	var have []entry
	for _, p := range principalsOf(rules) {
		found, err := described(ctx, cl, p)
		if err != nil {
			return nil, err
		}
		have = append(have, found...)
	}
	diff := &Diff{Total: len(want), Missing: []string{}, Extra: []string{}}
	var missing, extra []entry
	for _, e := range want {
		if !slices.Contains(have, e) {
			missing = append(missing, e)
			diff.Missing = append(diff.Missing, e.String())
		}
	}
	for _, e := range have {
		if !slices.Contains(want, e) {
			extra = append(extra, e)
			diff.Extra = append(diff.Extra, e.String())
		}
	}
	if dryRun {
		return diff, nil
	}
	// What is new comes first, so that nothing that works stops in between.
	if err := create(ctx, cl, missing); err != nil {
		return diff, err
	}
	return diff, remove(ctx, cl, extra)
}

func principalsOf(rules []Rule) []string {
	var out []string
	for _, r := range rules {
		out = append(out, r.Principal)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// described are the rules that allow a principal something.
func described(ctx context.Context, cl *kgo.Client, principal string) ([]entry, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	req.Principal = kmsg.StringPtr("User:" + principal)
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAllow
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = failed(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return nil, fmt.Errorf("describing the access rules of %s: %w", principal, err)
	}
	var out []entry
	for _, r := range resp.Resources {
		for _, a := range r.ACLs {
			if a.Host == "*" {
				out = append(out, entry{a.Principal, r.ResourceType, r.ResourceName, r.ResourcePatternType, a.Operation})
			}
		}
	}
	return out, nil
}

func create(ctx context.Context, cl *kgo.Client, all []entry) error {
	if len(all) == 0 {
		return nil
	}
	req := kmsg.NewPtrCreateACLsRequest()
	for _, e := range all {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = e.resource, e.name, e.pattern
		c.Principal, c.Host, c.Operation, c.PermissionType = e.principal, "*", e.operation, kmsg.ACLPermissionTypeAllow
		req.Creations = append(req.Creations, c)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("making access rules: %w", err)
	}
	var errs []error
	for i, r := range resp.Results {
		if err := failed(r.ErrorCode, r.ErrorMessage); err != nil && i < len(all) {
			errs = append(errs, fmt.Errorf("making the access rule %v: %w", all[i], err))
		}
	}
	return errors.Join(errs...)
}

func remove(ctx context.Context, cl *kgo.Client, all []entry) error {
	if len(all) == 0 {
		return nil
	}
	req := kmsg.NewPtrDeleteACLsRequest()
	for _, e := range all {
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourceName, f.ResourcePatternType = e.resource, kmsg.StringPtr(e.name), e.pattern
		f.Principal, f.Host, f.Operation, f.PermissionType = kmsg.StringPtr(e.principal), kmsg.StringPtr("*"), e.operation, kmsg.ACLPermissionTypeAllow
		req.Filters = append(req.Filters, f)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("removing access rules: %w", err)
	}
	var errs []error
	for i, r := range resp.Results {
		if err := failed(r.ErrorCode, r.ErrorMessage); err != nil && i < len(all) {
			errs = append(errs, fmt.Errorf("removing the access rule %v: %w", all[i], err))
		}
	}
	return errors.Join(errs...)
}

func failed(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err == nil || message == nil || *message == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, *message)
}
