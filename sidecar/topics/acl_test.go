package topics_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/sidestream/sidestream/sidecar/broker"
	"github.com/sidestream/sidestream/sidecar/deploy"
	"github.com/sidestream/sidestream/sidecar/topics"
)

const password = "not-a-secret"

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// closed is a broker with a user for each principal, and nobody (a user that no
// rule names).
func closed(t *testing.T, principals []string) string {
	t.Helper()
	users := []broker.User{{Name: "admin", Password: password, Admin: true}, {Name: "nobody", Password: password}}
	for _, p := range principals {
		users = append(users, broker.User{Name: p, Password: password})
	}
	b, err := broker.Open(bounded(t), broker.Config{Dir: t.TempDir(), Clean: -1, Security: broker.Security{Users: users, ACLs: true}})
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	return b.Addr()
}

func as(t *testing.T, addr, user string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()),
		kgo.AllowAutoTopicCreation(), kgo.RequestRetries(0), kgo.RecordRetries(0))...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

// kind is a kind of request, as Kafka names its operations; try makes one and
// tells whether it was let through.
type kind struct {
	op  topics.Operation
	try func(ctx context.Context, cl *kgo.Client, topic string) error
}

// kinds are one real request for each operation on a topic. What they would
// change they ask only to have validated, or ask for what isn't there, so that
// the matrix leaves the topics as they are.
var kinds = []kind{
	{topics.Write, func(ctx context.Context, cl *kgo.Client, topic string) error {
		// A producer without an id: the topic's own right alone is asked.
		return cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: 0, Value: []byte("x")}).FirstErr()
	}},
	{topics.Read, func(ctx context.Context, cl *kgo.Client, topic string) error {
		req := kmsg.NewPtrFetchRequest()
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.Version = 0, 0, 1<<20, 12
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic = topic
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.PartitionMaxBytes = 1 << 20
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		kresp, err := cl.Broker(0).Request(ctx, &pinned{req, 12})
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(kresp.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode)
	}},
	{topics.Describe, func(ctx context.Context, cl *kgo.Client, topic string) error {
		req := kmsg.NewPtrMetadataRequest()
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}},
	{topics.DescribeConfigs, func(ctx context.Context, cl *kgo.Client, topic string) error {
		resp, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, topic)
		if err != nil {
			return err
		}
		return resp[0].Err
	}},
	{topics.AlterConfigs, func(ctx context.Context, cl *kgo.Client, topic string) error {
		resp, err := kadm.NewClient(cl).ValidateAlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: kadm.StringPtr("1048588")}}, topic)
		if err != nil {
			return err
		}
		return resp[0].Err
	}},
	{topics.Alter, func(ctx context.Context, cl *kgo.Client, topic string) error {
		resp, err := kadm.NewClient(cl).ValidateCreatePartitions(ctx, 1, topic)
		if err != nil {
			return err
		}
		return resp[topic].Err
	}},
	{topics.Delete, func(ctx context.Context, cl *kgo.Client, topic string) error {
		// Deletes the records before the first, that is none.
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: 0, LeaderEpoch: -1})
		resp, err := kadm.NewClient(cl).DeleteRecords(ctx, offsets)
		if err != nil {
			return err
		}
		r, _ := resp.Lookup(topic, 0)
		return r.Err
	}},
	{topics.Create, func(ctx context.Context, cl *kgo.Client, topic string) error {
		resp, err := kadm.NewClient(cl).ValidateCreateTopics(ctx, 1, 1, nil, topic)
		if err != nil {
			return err
		}
		return resp[topic].Err
	}},
}

// pinned keeps a request at a version: fetches by topic name end with 12.
type pinned struct {
	kmsg.Request
	max int16
}

func (p *pinned) MaxVersion() int16 { return min(p.max, p.Request.MaxVersion()) }

// let tells whether an answer means that the request was allowed: another error
// than a refusal is about the request itself (the topic exists, has partitions).
func let(t *testing.T, err error) bool {
	t.Helper()
	switch {
	case err == nil, errors.Is(err, kerr.TopicAlreadyExists), errors.Is(err, kerr.InvalidPartitions):
		return true
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.UnknownTopicOrPartition):
		return false
	}
	t.Fatalf("neither allowed nor refused: %v", err)
	return false
}

// TestMatrix asks a closed broker for every operation on every topic of the
// repository as every principal, and one that nobody knows.
func TestMatrix(t *testing.T) {
	list, err := topics.Load("../../ksql/topics.yaml")
	require.NoError(t, err)
	rules, err := topics.Rules(list)
	require.NoError(t, err)
	principals := topics.Principals(list)
	addr := closed(t, principals)
	ctx := bounded(t)

	admin := as(t, addr, "admin")
	for _, topic := range list {
		resp, err := kadm.NewClient(admin).CreateTopics(ctx, 1, 1, nil, topic.Name)
		require.NoError(t, err)
		require.NoError(t, resp[topic.Name].Err)
	}
	diff, err := topics.Apply(ctx, admin, rules, false)
	require.NoError(t, err)
	require.Len(t, diff.Missing, diff.Total)

	writers := map[string][]string{}
	for _, p := range append(principals, "nobody") {
		cl := as(t, addr, p, kgo.DisableIdempotentWrite(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
		for _, topic := range list {
			for _, k := range kinds {
				want := false
				for _, r := range rules {
					want = want || r.Allows(p, topics.TopicResource, topic.Name, k.op)
				}
				got := let(t, k.try(ctx, cl, topic.Name))
				require.Equal(t, want, got, "%s: %s %s", p, k.op, topic.Name)
				if got && k.op == topics.Write {
					writers[topic.Name] = append(writers[topic.Name], p)
				}
			}
		}
	}
	// Told without the rules: only the owner writes, and nobody makes or changes a
	// topic of the file.
	for _, topic := range list {
		require.Equal(t, []string{topic.Owner}, writers[topic.Name], topic.Name)
	}
	for _, p := range append(principals, "nobody") {
		for _, topic := range list {
			for _, op := range []topics.Operation{topics.Create, topics.Delete, topics.Alter, topics.AlterConfigs} {
				for _, r := range rules {
					require.False(t, r.Allows(p, topics.TopicResource, topic.Name, op), "%s: %s %s", p, op, topic.Name)
				}
			}
		}
	}

	// The same rules again change nothing; what is too much goes, what others have
	// stays.
	diff, err = topics.Apply(ctx, admin, rules, false)
	require.NoError(t, err)
	require.Empty(t, diff.Missing)
	require.Empty(t, diff.Extra)
}

// A query that is built anew gets a topic of its own, beside the one of the file:
// its owner makes and writes it, whoever reads the first reads it too.
func TestVersions(t *testing.T) {
	ctx := bounded(t)
	addr := closed(t, []string{"a-sql", "b-sql", "c"})
	admin := as(t, addr, "admin")
	resp, err := kadm.NewClient(admin).CreateTopics(ctx, 1, 1, nil, "t_v2")
	require.NoError(t, err)
	require.NoError(t, resp.Error())
	rules, err := topics.Rules([]topics.Topic{{Name: "t", Owner: "a-sql", Readers: []string{"b-sql"}}, {Name: "p", Owner: "c"}})
	require.NoError(t, err)
	_, err = topics.Apply(ctx, admin, rules, false)
	require.NoError(t, err)
	for user, want := range map[string][]topics.Operation{
		"a-sql": {topics.Write, topics.Read, topics.Describe, topics.DescribeConfigs, topics.Delete, topics.Create},
		"b-sql": {topics.Read, topics.Describe, topics.DescribeConfigs},
		"c":     nil,
	} {
		var got []topics.Operation
		cl := as(t, addr, user, kgo.DisableIdempotentWrite())
		for _, k := range kinds {
			if let(t, k.try(ctx, cl, "t_v2")) {
				got = append(got, k.op)
			}
		}
		require.Equal(t, want, got, user)
	}
	require.False(t, let(t, kinds[7].try(ctx, as(t, addr, "c"), "p_v2")), "a program makes no versions")
}

func TestApplyTakesAwayWhatTheFileDoesNotGive(t *testing.T) {
	ctx := bounded(t)
	addr := closed(t, []string{"a", "b-sql"})
	admin := as(t, addr, "admin")
	resp, err := kadm.NewClient(admin).CreateTopics(ctx, 1, 1, nil, "t", "secret")
	require.NoError(t, err)
	require.NoError(t, resp.Error())
	apply := func(list []topics.Topic, dry bool) *topics.Diff {
		rules, err := topics.Rules(list)
		require.NoError(t, err)
		diff, err := topics.Apply(ctx, admin, rules, dry)
		require.NoError(t, err)
		return diff
	}
	allowed := func(user string, k kind, topic string) bool {
		return let(t, k.try(ctx, as(t, addr, user, kgo.DisableIdempotentWrite()), topic))
	}
	write, read := kinds[0], kinds[1]

	apply([]topics.Topic{{Name: "t", Owner: "a"}, {Name: "secret", Owner: "b-sql", Readers: []string{}}}, false)
	require.True(t, allowed("a", write, "t"))
	require.True(t, allowed("b-sql", read, "t"))
	require.False(t, allowed("a", read, "secret"))

	// The topic gets another owner.
	moved := []topics.Topic{{Name: "t", Owner: "b-sql"}, {Name: "secret", Owner: "b-sql", Readers: []string{"a"}}}
	diff := apply(moved, true)
	require.Equal(t, []string{
		"b-sql: Write topic t",
		"b-sql: Read topic t_v*", "b-sql: Write topic t_v*", "b-sql: Create topic t_v*", "b-sql: Delete topic t_v*", "b-sql: Describe topic t_v*", "b-sql: DescribeConfigs topic t_v*",
		"a: Read topic t_v*", "a: Describe topic t_v*", "a: DescribeConfigs topic t_v*",
		"a: Read topic secret", "a: Describe topic secret", "a: DescribeConfigs topic secret",
		"a: Read topic secret_v*", "a: Describe topic secret_v*", "a: DescribeConfigs topic secret_v*",
	}, sorted(diff.Missing))
	require.Equal(t, []string{"a: Write topic t"}, diff.Extra)
	require.True(t, allowed("a", write, "t"), "a dry run changes nothing")
	apply(moved, false)
	require.False(t, allowed("a", write, "t"))
	require.True(t, allowed("b-sql", write, "t"))
	require.True(t, allowed("a", read, "secret"))
}

// sorted puts the owner's rules first, for the comparison above.
func sorted(in []string) []string {
	out := []string{}
	for _, first := range []bool{true, false} {
		for _, s := range in {
			if (s[0] == 'b') == first {
				out = append(out, s)
			}
		}
	}
	return out
}

func TestNoPasswordNoAnswer(t *testing.T) {
	addr := closed(t, nil)
	ctx := bounded(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RequestRetries(0))
	require.NoError(t, err)
	defer cl.Close()
	require.Error(t, cl.Ping(ctx))
	wrong, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RequestRetries(0), kgo.SASL(scram.Auth{User: "admin", Pass: "wrong"}.AsSha512Mechanism()))
	require.NoError(t, err)
	defer wrong.Close()
	require.Error(t, wrong.Ping(ctx))
	require.NoError(t, as(t, addr, "admin").Ping(ctx))
}

func TestNamesThatWouldShareGroups(t *testing.T) {
	_, err := topics.Rules([]topics.Topic{{Name: "a", Owner: "orders"}, {Name: "b", Owner: "orders-sql"}, {Name: "c", Owner: "orders-archive"}})
	require.ErrorContains(t, err, "service orders-archive begins with the name of service orders and a hyphen")
}

func TestTheLedgersName(t *testing.T) { require.Equal(t, deploy.LedgerTopic, topics.Ledger) }
