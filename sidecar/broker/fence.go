package broker

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fence makes the cluster refuse what Apache Kafka refuses, and answer where
// kfake wrongly fails. Each hook keeps itself (kfake drops a hook that handled a
// request) and leaves what is in order to kfake.
//
// A heartbeat without a member's id is of nobody who is known. librdkafka sends
// such after it was told that it is unknown; kfake would answer a static member
// that another one has its name, which is fatal for the client.
func fence(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.CreateTopics), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.CreateTopicsRequest)
		resp, bad := refuseTopics(req)
		if !bad {
			keepCompacted(req)
		}
		return resp, nil, bad
	})
	c.ControlKey(int16(kmsg.IncrementalAlterConfigs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp, bad := refuseConfigs(kreq.(*kmsg.IncrementalAlterConfigsRequest))
		return resp, nil, bad
	})
	c.ControlKey(int16(kmsg.OffsetFetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp, unknown := offsetsOfNobody(kreq.(*kmsg.OffsetFetchRequest), func(group string) bool { return c.GroupInfo(group) != nil })
		return resp, nil, unknown
	})
	c.ControlKey(int16(kmsg.Heartbeat), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.HeartbeatRequest)
		if req.MemberID != "" {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return resp, nil, true
	})
}

// refuseTopics answers a request of which a topic is bad; bad is false when all
// are in order.
func refuseTopics(req *kmsg.CreateTopicsRequest) (_ kmsg.Response, bad bool) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewCreateTopicsResponseTopic()
		rt.Topic = t.Topic
		if text := nameFault(t.Topic); text != "" {
			rt.ErrorCode, rt.ErrorMessage = kerr.InvalidTopicException.Code, &text
			bad = true
		} else {
			for _, cfg := range t.Configs {
				if text := configFault(cfg.Name, cfg.Value); text != "" {
					rt.ErrorCode, rt.ErrorMessage = kerr.InvalidConfig.Code, &text
					bad = true
					break
				}
			}
		}
		resp.Topics = append(resp.Topics, rt)
	}
	text := "not made, as another topic of the same request was refused"
	for i := range resp.Topics {
		if resp.Topics[i].ErrorCode == 0 {
			resp.Topics[i].ErrorCode, resp.Topics[i].ErrorMessage = kerr.InvalidRequest.Code, &text
		}
	}
	return resp, bad
}

// refuseConfigs does the same for a change of topics' configs.
func refuseConfigs(req *kmsg.IncrementalAlterConfigsRequest) (_ kmsg.Response, bad bool) {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for _, r := range req.Resources {
		rr := kmsg.NewIncrementalAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		if r.ResourceType == kmsg.ConfigResourceTypeTopic {
			for _, cfg := range r.Configs {
				value := cfg.Value
				if cfg.Op != kmsg.IncrementalAlterConfigOpSet {
					value = nil // a list's member or a removal: the name alone is checked
				}
				if text := configFault(cfg.Name, value); text != "" {
					rr.ErrorCode, rr.ErrorMessage = kerr.InvalidConfig.Code, &text
					bad = true
					break
				}
			}
		}
		resp.Resources = append(resp.Resources, rr)
	}
	text := "not changed, as another resource of the same request was refused"
	for i := range resp.Resources {
		if resp.Resources[i].ErrorCode == 0 {
			resp.Resources[i].ErrorCode, resp.Resources[i].ErrorMessage = kerr.InvalidRequest.Code, &text
		}
	}
	return resp, bad
}

// keepCompacted sets retention off where a new topic is only compacted: kfake
// applies the default retention of 7 days to such topics too, and would lose a
// changelog's oldest keys.
func keepCompacted(req *kmsg.CreateTopicsRequest) {
	for i := range req.Topics {
		t := &req.Topics[i]
		compacted, set := false, map[string]bool{}
		for _, cfg := range t.Configs {
			set[cfg.Name] = true
			if cfg.Name == "cleanup.policy" && cfg.Value != nil {
				compacted = strings.TrimSpace(*cfg.Value) == "compact"
			}
		}
		for _, name := range []string{"retention.ms", "retention.bytes"} {
			if compacted && !set[name] {
				cfg := kmsg.NewCreateTopicsRequestTopicConfig()
				cfg.Name, cfg.Value = name, kmsg.StringPtr("-1")
				t.Configs = append(t.Configs, cfg)
			}
		}
	}
}

// nameFault says what is wrong with a topic's name, in Apache Kafka's words.
func nameFault(name string) string {
	switch {
	case name == "":
		return "Topic name is invalid: the empty string is not allowed"
	case name == "." || name == "..":
		return fmt.Sprintf("Topic name is invalid: '%s' is not allowed", name)
	case len(name) > 249:
		return fmt.Sprintf("Topic name is invalid: the length of '%s' is longer than the max allowed length 249", name)
	}
	for _, r := range name {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
		if !ok {
			return fmt.Sprintf("Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
		}
	}
	return ""
}

// topicConfigs are the names that Apache Kafka knows; true: the value is a
// whole number.
var topicConfigs = map[string]bool{
	"cleanup.policy": false, "compression.gzip.level": true, "compression.lz4.level": true,
	"compression.type": false, "compression.zstd.level": true, "delete.retention.ms": true,
	"file.delete.delay.ms": true, "flush.messages": true, "flush.ms": true,
	"follower.replication.throttled.replicas": false, "index.interval.bytes": true,
	"leader.replication.throttled.replicas": false, "local.retention.bytes": true,
	"local.retention.ms": true, "max.compaction.lag.ms": true, "max.message.bytes": true,
	"message.timestamp.after.max.ms": true, "message.timestamp.before.max.ms": true,
	"message.timestamp.type": false, "min.cleanable.dirty.ratio": false,
	"min.compaction.lag.ms": true, "min.insync.replicas": true, "preallocate": false,
	"remote.copy.disable": false, "remote.log.delete.on.disable": false,
	"remote.storage.enable": false, "retention.bytes": true, "retention.ms": true,
	"segment.bytes": true, "segment.index.bytes": true, "segment.jitter.ms": true,
	"segment.ms": true, "unclean.leader.election.enable": false,
}

// configFault says what is wrong with a topic's config.
func configFault(name string, value *string) string {
	number, known := topicConfigs[name]
	if !known {
		return "Unknown topic config name: " + name
	}
	if number && value != nil {
		if _, err := strconv.ParseInt(*value, 10, 64); err != nil {
			return fmt.Sprintf("Invalid value %s for configuration %s: Not a number of type LONG", *value, name)
		}
	}
	return ""
}

// offsetsOfNobody answers for groups that don't exist: no offset is committed.
// kfake fails such a request; Apache Kafka, and so every client, takes it for
// a group that begins. A request of which any group exists is kfake's.
func offsetsOfNobody(req *kmsg.OffsetFetchRequest, exists func(group string) bool) (_ kmsg.Response, unknown bool) {
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if req.Version < 8 {
		if exists(req.Group) {
			return nil, false
		}
		for _, t := range req.Topics {
			rt := kmsg.NewOffsetFetchResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewOffsetFetchResponseTopicPartition()
				rp.Partition, rp.Offset, rp.LeaderEpoch = p, -1, -1
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, true
	}
	for _, g := range req.Groups {
		if exists(g.Group) || g.MemberID != nil && *g.MemberID != "" {
			return nil, false
		}
		rg := kmsg.NewOffsetFetchResponseGroup()
		rg.Group = g.Group
		for _, t := range g.Topics {
			rt := kmsg.NewOffsetFetchResponseGroupTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
				rp.Partition, rp.Offset, rp.LeaderEpoch = p, -1, -1
				rt.Partitions = append(rt.Partitions, rp)
			}
			rg.Topics = append(rg.Topics, rt)
		}
		resp.Groups = append(resp.Groups, rg)
	}
	return resp, len(req.Groups) > 0
}
