package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.yaml.in/yaml/v3"
)

// Security closes a broker. The zero value lets everybody do everything.
type Security struct {
	// Users may connect, by SASL; nil: everybody, without SASL.
	Users []User
	// ACLs allow only what a rule allows (`sidestream topics acls --apply` makes
	// them), except to administrators. It needs Users.
	ACLs bool
	// TLS is how the listener is encrypted; nil: not at all.
	TLS *tls.Config
}

// User may connect.
type User struct {
	Name     string
	Password string
	// Mechanisms are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512; nil: all three.
	Mechanisms []string
	// Admin: no rule holds for it.
	Admin bool
}

// String leaves the password out.
func (u User) String() string { return "user " + u.Name }

// GoString leaves the password out.
func (u User) GoString() string { return u.String() }

var mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}

func (s *Security) check() error {
	if s.ACLs && len(s.Users) == 0 {
		return errors.New("broker: access rules need users: without SASL nobody has a name")
	}
	seen := map[string]bool{}
	admin := false
	for _, u := range s.Users {
		switch {
		case u.Name == "":
			return errors.New("broker: a user has no name")
		case u.Password == "":
			return fmt.Errorf("broker: %v has no password", u)
		case seen[u.Name]:
			return fmt.Errorf("broker: %v is given twice", u)
		}
		seen[u.Name] = true
		admin = admin || u.Admin
		for _, m := range u.Mechanisms {
			if !slices.Contains(mechanisms, m) {
				return fmt.Errorf("broker: %v: mechanism %q: give %s", u, m, strings.Join(mechanisms, ", "))
			}
		}
	}
	if s.ACLs && !admin {
		return errors.New("broker: access rules need a user that is an administrator (admin: true): nobody else could make topics and rules")
	}
	return nil
}

// options are kfake's. TLS is not among them: the listener has it.
func (s *Security) options() []kfake.Opt {
	if len(s.Users) == 0 {
		return nil
	}
	out := []kfake.Opt{kfake.EnableSASL()}
	for _, u := range s.Users {
		of := u.Mechanisms
		if of == nil {
			of = mechanisms
		}
		for _, m := range of {
			if u.Admin {
				out = append(out, kfake.Superuser(m, u.Name, u.Password))
			} else {
				out = append(out, kfake.User(m, u.Name, u.Password))
			}
		}
	}
	if s.ACLs {
		out = append(out, kfake.EnableACLs())
	}
	return out
}

// forgetUsers drops the users that kfake wrote down: those of Config hold, or a
// changed password would not.
func forgetUsers(dir string) error {
	if err := os.Remove(filepath.Join(dir, "sasl.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// LoadUsers reads users from a YAML file:
//
//	users:
//	  - {name: admin, passwordFile: /run/secrets/admin, admin: true}
//	  - {name: orders, password: secret, mechanisms: [SCRAM-SHA-512]}
//
// A passwordFile's path is relative to the file. Errors never repeat passwords.
func LoadUsers(path string) ([]User, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Users []struct {
			Name         string   `yaml:"name"`
			Password     string   `yaml:"password"`
			PasswordFile string   `yaml:"passwordFile"`
			Mechanisms   []string `yaml:"mechanisms"`
			Admin        bool     `yaml:"admin"`
		} `yaml:"users"`
	}
	d := yaml.NewDecoder(strings.NewReader(string(raw)))
	d.KnownFields(true)
	if d.Decode(&file) != nil {
		return nil, fmt.Errorf("%s: not a list `users:` of name, password or passwordFile, mechanisms and admin", path)
	}
	if len(file.Users) == 0 {
		return nil, fmt.Errorf("%s: no users", path)
	}
	var out []User
	for _, u := range file.Users {
		if (u.Password == "") == (u.PasswordFile == "") {
			return nil, fmt.Errorf("%s: user %s: give password or passwordFile", path, u.Name)
		}
		if u.PasswordFile != "" {
			at := u.PasswordFile
			if !filepath.IsAbs(at) {
				at = filepath.Join(filepath.Dir(path), at)
			}
			text, err := os.ReadFile(at)
			if err != nil {
				return nil, fmt.Errorf("%s: user %s: %w", path, u.Name, err)
			}
			u.Password = strings.TrimRight(string(text), "\r\n")
		}
		out = append(out, User{Name: u.Name, Password: u.Password, Mechanisms: u.Mechanisms, Admin: u.Admin})
	}
	return out, nil
}

// LoadTLS reads a listener's certificate and key (PEM); with clientCA only
// clients with a certificate of that authority are let in.
func LoadTLS(cert, key, clientCA string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("broker: certificate %s with key %s: %w", cert, key, err)
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if clientCA == "" {
		return out, nil
	}
	raw, err := os.ReadFile(clientCA)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("broker: %s holds no certificate (PEM)", clientCA)
	}
	out.ClientAuth = tls.RequireAndVerifyClientCert
	return out, nil
}
