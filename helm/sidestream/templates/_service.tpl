{{/*
A service with everything that follows from its values, as JSON for fromJson:
the values themselves, and fullname, engine, replicas, program and sql (whether it
has them), principals, files, variables, views.
Takes (dict "root" $ "name" "orders").
*/}}
{{- define "sidestream.service" -}}
{{- $root := .root -}}
{{- $name := .name -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) -}}
{{- fail (printf "services.%s: a name has small letters, digits and hyphens." $name) -}}
{{- end -}}
{{- if or (hasSuffix "-sql" $name) (has $name (list "kafka" "topics" "test")) -}}
{{- fail (printf "services.%s: the name is taken: kafka, topics, test and what ends in -sql are the chart's own." $name) -}}
{{- end -}}
{{- $v := mustMergeOverwrite (deepCopy $root.Values.serviceDefaults) (get $root.Values.services $name | default dict | deepCopy) -}}
{{- $_ := set $v "name" $name -}}
{{- $_ := set $v "fullname" (include "sidestream.fullname" .) -}}
{{- $_ := set $v "engine" (include "sidestream.engine" $root) -}}
{{- $_ := set $v "hasProgram" (not (empty (get $v.program "image"))) -}}

{{- /* SQL: the folder of ksql/, with files of values in it; or a ConfigMap. */ -}}
{{- $files := dict -}}
{{- if $v.sql.existingConfigMap -}}
{{- if $v.sql.files -}}
{{- fail (printf "services.%s.sql: existingConfigMap takes the folder's place, so files can't be added to it. Give one of the two." $name) -}}
{{- end -}}
{{- else -}}
{{- range $path, $_ := $root.Files.Glob (printf "ksql/%s/*.sql" $name) -}}
{{- $_ := set $files (base $path) ($root.Files.Get $path) -}}
{{- end -}}
{{- range $file, $text := $v.sql.files -}}
{{- if not (regexMatch "^[0-9]+-[A-Za-z0-9._-]+\\.sql$" $file) -}}
{{- fail (printf "services.%s.sql.files: %q must begin with a number and a hyphen and end in .sql (03-limit.sql): the numbers give the order." $name $file) -}}
{{- end -}}
{{- if $text }}{{ $_ := set $files $file $text }}{{ else }}{{ $_ := unset $files $file }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $_ := set $v "files" $files -}}
{{- $_ := set $v "hasSQL" (or (not (empty $files)) (not (empty $v.sql.existingConfigMap))) -}}
{{- $variables := dict -}}
{{- range $key, $value := merge (dict) $v.sql.variables (get ($root.Files.Get "ksql/variables.yaml" | fromYaml) $name | default dict) -}}
{{- $_ := set $variables $key (include "sidestream.text" $value) -}}
{{- end -}}
{{- $_ := set $v "variables" $variables -}}
{{- if not (or $v.hasProgram $v.hasSQL) -}}
{{- fail (printf "services.%s has neither a program nor SQL. Give program.image, or SQL in ksql/%s, sql.files or sql.existingConfigMap." $name $name) -}}
{{- end -}}

{{- $manifest := get (get ($root.Files.Get "services.yaml" | fromYaml) "services" | default dict) $name | default dict -}}
{{- $views := get $v.sql "views" -}}
{{- $_ := set $v "views" (ternary $views (get $manifest "views" | default list) (kindIs "slice" $views)) -}}

{{- $principals := list -}}
{{- if $v.hasProgram }}{{ $principals = append $principals $name }}{{ end -}}
{{- if $v.hasSQL }}{{ $principals = append $principals (printf "%s-sql" $name) }}{{ end -}}
{{- $_ := set $v "principals" $principals -}}

{{- $one := and $v.hasSQL (eq $v.engine "embedded") -}}
{{- /* Helm 4 drops defaults that are null, Helm 3 keeps them. */ -}}
{{- if not (regexMatch "^(int|float)" (kindOf (get $v "replicas"))) -}}
{{- $_ := set $v "replicas" (ternary 1 2 (or $one (eq $root.Values.kafka.mode "evaluation"))) -}}
{{- end -}}
{{- if and $one (gt (int $v.replicas) 1) -}}
{{- fail (printf "services.%s.replicas is %d, but sidecar.engine is \"embedded\": the embedded engine runs a service in one process and shares it with no other. Set it to 1, or sidecar.engine to ksqldb." $name (int $v.replicas)) -}}
{{- end -}}
{{- if and $one $v.autoscaling.enabled -}}
{{- fail (printf "services.%s.autoscaling is on, but sidecar.engine is \"embedded\", which runs one replica. Switch it off, or set sidecar.engine to ksqldb." $name) -}}
{{- end -}}
{{- toJson $v -}}
{{- end -}}

{{/* Not empty when the service is there and on. Takes root and given (its values). */}}
{{- define "sidestream.on" -}}
{{- if kindIs "map" .given -}}
{{- if ternary (get .given "enabled") .root.Values.serviceDefaults.enabled (hasKey .given "enabled") }}on{{ end -}}
{{- end -}}
{{- end -}}

{{- define "sidestream.engine" -}}
{{- .Values.sidecar.engine | default (ternary "embedded" "ksqldb" (eq .Values.kafka.mode "evaluation")) -}}
{{- end -}}

{{/* ksql-server.properties. Takes root and svc. ${…} are filled in by `sidestream configure`. */}}
{{- define "sidestream.ksqldbProperties" -}}
{{- $root := .root -}}
{{- $svc := .svc -}}
{{- $k := $root.Values.sidecar.ksqldb -}}
{{- $evaluation := eq $root.Values.kafka.mode "evaluation" -}}
{{- $p := dict
  "bootstrap.servers" (include "sidestream.bootstrap" $root)
  "listeners" "http://0.0.0.0:8088"
  "ksql.advertised.listener" (printf "http://${env:POD_NAME}.%s-pods.%s.svc:8088" $svc.fullname $root.Release.Namespace)
  "ksql.service.id" (printf "%s_" $svc.name)
  "ksql.heartbeat.enable" true
  "ksql.lag.reporting.enable" true
  "ksql.query.pull.enable.standby.reads" true
  "ksql.internal.topic.replicas" (ternary 1 (int $k.replicationFactor) $evaluation)
  "ksql.streams.replication.factor" (ternary 1 (int $k.replicationFactor) $evaluation)
  "ksql.streams.state.dir" "/state/sidecar"
  "ksql.streams.num.stream.threads" $k.streamThreads
  "ksql.streams.num.standby.replicas" (ternary $k.standbyReplicas 0 (or $svc.autoscaling.enabled (gt (int $svc.replicas) 1)))
  "ksql.streams.processing.guarantee" "exactly_once_v2"
  "ksql.streams.commit.interval.ms" $k.commitIntervalMs
  "ksql.streams.cache.max.bytes.buffering" 0
  "ksql.streams.auto.offset.reset" "earliest"
  "ksql.streams.session.timeout.ms" $k.sessionTimeoutMs
  "ksql.streams.heartbeat.interval.ms" $k.heartbeatIntervalMs
  "ksql.streams.consumer.internal.leave.group.on.close" true
-}}
{{- with $root.Values.sidecar.schemaRegistry }}{{ $_ := set $p "ksql.schema.registry.url" . }}{{ end -}}
{{- $protocol := include "sidestream.protocol" $root -}}
{{- if ne $protocol "PLAINTEXT" }}{{ $_ := set $p "security.protocol" $protocol }}{{ end -}}
{{- if and (eq (include "sidestream.tls" $root) "true") (include "sidestream.caSecret" $root) -}}
{{- $_ := set $p "ssl.truststore.type" "PEM" -}}
{{- $_ := set $p "ssl.truststore.location" "/kafka/ca/ca.crt" -}}
{{- end -}}
{{- with include "sidestream.mechanism" $root -}}
{{- $module := ternary "plain.PlainLoginModule" "scram.ScramLoginModule" (eq . "PLAIN") -}}
{{- $_ := set $p "sasl.mechanism" . -}}
{{- $_ := set $p "sasl.jaas.config" (printf "org.apache.kafka.common.security.%s required username=${quoted:env:KAFKA_SASL_USERNAME} password=${quoted:file:/kafka/credentials/password};" $module) -}}
{{- end -}}
{{- range $key, $value := merge (dict) $svc.sql.properties $root.Values.sidecar.properties $p }}
{{ $key }}={{ include "sidestream.text" $value }}
{{- end }}
{{- end -}}
