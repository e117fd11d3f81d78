package charttest

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// Objects are a release's objects by "Kind/name": Kubernetes' own as their Go
// types, those of operators as *unstructured.Unstructured.
type Objects map[string]runtime.Object

// operators are the groups that the chart has objects of, beside Kubernetes' own.
var operators = []string{"kafka.strimzi.io/", "monitoring.coreos.com/"}

// Decode reads manifests. A field that Kubernetes doesn't know, or that comes
// twice, is an error.
func Decode(manifests string) (Objects, error) {
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	out := Objects{}
	for _, doc := range strings.Split("\n"+manifests, "\n---\n") {
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, doc)
		}
		if head.Kind == "" {
			continue
		}
		name := head.Kind + "/" + head.Metadata.Name
		var object runtime.Object
		var err error
		if operator(head.APIVersion) {
			u := &unstructured.Unstructured{}
			err, object = yaml.UnmarshalStrict([]byte(doc), &u.Object), u
		} else {
			object, _, err = strict.Decode([]byte(doc), nil, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		out[name] = object
	}
	return out, nil
}

func operator(apiVersion string) bool {
	for _, o := range operators {
		if strings.HasPrefix(apiVersion, o) {
			return true
		}
	}
	return false
}

// Get is an object of a type; the zero value when it isn't there.
func Get[T runtime.Object](o Objects, name string) T {
	found, _ := o[name].(T)
	return found
}

// Pods are the pod templates by the object that has them.
func (o Objects) Pods() map[string]corev1.PodTemplateSpec {
	out := map[string]corev1.PodTemplateSpec{}
	for name, object := range o {
		switch t := object.(type) {
		case *appsv1.StatefulSet:
			out[name] = t.Spec.Template
		case *batchv1.Job:
			out[name] = t.Spec.Template
		case *corev1.Pod:
			out[name] = corev1.PodTemplateSpec{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
		}
	}
	return out
}

// Containers are all of a pod's, by name.
func Containers(spec corev1.PodSpec) map[string]corev1.Container {
	out := map[string]corev1.Container{}
	for _, c := range spec.InitContainers {
		out[c.Name] = c
	}
	for _, c := range spec.Containers {
		out[c.Name] = c
	}
	return out
}
